"""The Gravwell user files API, and as much around it as its own client needs."""
