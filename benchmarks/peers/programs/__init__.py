"""Programs that peers run in processes of their own."""
