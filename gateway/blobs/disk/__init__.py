"""Blobs on a local disk: the only package that makes file system calls.

    DATA_DIR/incoming/<blob id>.part            being written, locked by its writer
    DATA_DIR/blobs/<kind>/<owner>/<blob id>     permanent, never changed

Knows nothing of rows, requests or names that users give.

Theory of operation. An upload passes through two kinds of threads.

- *Staging* (``writer``, ``batches``). The event loop gathers chunks into a batch. A full batch
  is put into a queue of the upload's own; one thread of the pool takes batches out of it, hashes
  and writes them, and stays until the queue is empty, so that it need not be woken for each. At
  most two batches wait; then the loop waits, and with it the client (back-pressure). Memory for
  an upload is a few batches, and batches get smaller as uploads get more.
- *Sealing* (``publishing``). What was written is synced and gets its permanent name. An upload
  larger than a batch does this alone, in a thread of its own kind, because it takes long. Small
  ones queue up, and one thread takes all that wait: each file is synced by itself, all get their
  names by ``link``, and then one sync of their folder makes all the names durable.

Each part is locked (``flock``) by its open descriptor. A lock that can be taken is the sign of a
dead writer, and the part may be swept. An upload smaller than a batch has no part until it is
sealed: it is created, written, synced and named in one go. Folders are made on first use and never
removed, so each has to be synced into its parent once only.

Whatever power cut, crash or failing call comes in between, what is left is a part (removed later),
or a permanent name that no row knows (removed later), never a name with other bytes behind it.

Reading needs no thread if the page cache has the bytes (``reader``), and none at all for what the
kernel sends from the descriptor. A descriptor outlives the name: whoever has a blob open reads it
to its end.

Rule: one descriptor from the first write through fsync; a failed fsync is final (the
kernel has dropped the pages, so trying again would lie); a permanent name exists only
for bytes that are already durable, and is durable itself before anyone hears of it.
"""
