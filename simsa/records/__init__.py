"""The records of a sweep: how a run ended (status), the fields (fields), their shape (layout), and the files.

Files are written block by block (write), read as plain arrays or with xarray (read), and survive a power cut (disk).
"""
