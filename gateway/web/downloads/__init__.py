"""ResumeGuard out: conditions, ranges, ways of sending."""
