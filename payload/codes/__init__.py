"""32-bit words: their code, short links, the order ids are given in, and what a read word is worth."""
