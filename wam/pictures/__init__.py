"""Files <-> samples: formats, metadata, colour, animations, storage, and pictures of results. No model, no label.

files           read, encode, write; which files, which names
animation       the same for all frames of one file, with their timing
reader          file content -> ``Picture``, or what is wrong with it
writer          samples and metadata -> file content
samples         ``Picture``; 8-bit RGB <-> samples of a file
colour          colour spaces <-> sRGB
formats         what each format keeps, and the records of it
metadata        what a file says of itself, and how it was coded
boxes           AVIF and HEIC files, box by box
quality         PSNR, SSIM, and whether a picture is smooth
storage         local files, and objects behind URLs
atomic_write    whole or not at all
overlay         regions and captions drawn on a picture
caption_layout  where captions go
"""
