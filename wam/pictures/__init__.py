"""Files <-> samples: formats, metadata, colour, animations, storage, and pictures of results. No model, no label.

files           read, encode, write; which files, which names
animation       the same for all frames of one file, with their timing
reader          file content -> ``Picture``, or what is wrong with it
writer          samples and metadata -> file content; ``tiff_writer``; ``exactly``: AVIF and HEIC without loss
containers      all that a file holds beside its pixels, part by part
encoding        how a source was encoded; ``coded`` reads the headers of its streams
thumbnail       the small picture in EXIF, made anew
samples         ``Picture``; 8-bit RGB <-> samples of a file
colour          colour spaces <-> sRGB
formats         what each format keeps, and the records of it
metadata        what a file says of itself
boxes           AVIF and HEIC files, box by box
quality         PSNR, SSIM, and whether a picture is smooth
storage         local files, and objects behind URLs
atomic_write    whole or not at all
overlay         regions and captions drawn on a picture
caption_layout  where captions go
"""
