"""Faults: kills (A), power cuts (B), broken disks (C), lost databases (D), everybody at once (E).

Broken on purpose, one at a time, and each caught by the suite that is named:

    no fsync of the file, of its folder, of a new folder's parent, of the ancestors   power_loss
    a name before its fsync                                                           power_loss
    a failed fsync tried again                                                        io_faults
    a part kept after a failure                                                       io_faults
    the row before the blob                                                           io_faults
    the blob removed when COMMIT's outcome is unknown, or taken for a refusal         database_faults
    the row not looked up after a lost answer                                         database_faults
    an error while the connection is given back taken for a failed commit             database_faults
    a cancelled download that forgets its descriptor                                  database_faults
    the bytes deleted before the row                                                  database_faults
    a sweep without a tombstone                                                       concurrency
    overwriting in place                                                   contract/blob_store
    a change without compare-and-swap                                      contract/catalogue
    a sweep's claim that cannot be repeated (found by the long run of A)              io_faults
"""
