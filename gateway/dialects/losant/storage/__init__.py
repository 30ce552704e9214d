"""Where the API sends its clients for bytes: an upload form as S3 takes one, and signed links.

A dialect of its own, because whoever speaks to it speaks S3: its refusals are XML, its codes S3's.
"""
