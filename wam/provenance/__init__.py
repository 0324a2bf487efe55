"""What a file says of its origin besides the mark.

aigc_label  labels of generated pictures in XMP: read, put on a picture that is to be encoded, compared with the mark
"""
