"""The bench: one protocol for the command ``wam bench``, the model card and every figure of the README.

``session.run`` does one run; nothing is imported here, so that a cost measurement loads only what it measures.
"""
