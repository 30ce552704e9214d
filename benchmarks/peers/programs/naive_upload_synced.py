"""``python -m benchmarks.peers.programs.naive_upload_synced FOLDER PORT``: fsync, too."""

from __future__ import annotations

from benchmarks.peers.programs.naive_upload import main

if __name__ == "__main__":
    main(synced=True)
