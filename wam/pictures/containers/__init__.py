"""Containers: what a file of each format holds beside its pixels, part by part.

parts  what a part is, and what of one file is missing in another
jpeg, png, webp, gif, bmp, tiff  the files of a format, walked by their own structure
heif   AVIF and HEIC; ``items`` reads and writes their items
exif   EXIF blocks, changed in place; ``xmp`` packets; ``iptc`` in Photoshop's resources
"""
