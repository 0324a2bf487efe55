"""What a file says of its origin besides the mark.

aigc_label           labels of generated pictures: read, compared with the mark, and what is written beside one
disclosure           which fields are written, by the law that asks for them, and the values they need
iptc_fields          fields of the IPTC's photo metadata; source_types: what they say a picture is
label_packet         a label put into a picture's XMP packet
credentials          who signs content credentials (C2PA); manifest_definition, signing: what is signed, and how
manifest_state       what a file's manifest says, and whether that holds
"""
