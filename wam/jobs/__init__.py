"""Runs over many files, in the order in which they go.

plan           inputs -> items, nothing written yet; ``listing``: inputs one by one, for runs that start at once
journal        what a run knows of each file from its manifest, which is written line by line by ``manifest``
modes          what link and record mode do apart: reserve, mark, settle; ``link_mode`` and ``record_mode`` are the two
engines/       who does the work: ``local``, the threads of one machine, or ``ray_data``, a cluster; ``steps`` of both
outcome        what an engine says of one input
"""
