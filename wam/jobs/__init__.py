"""Jobs on files, in the order in which a run goes through them.

storage   files and URLs                      plan      inputs -> items, nothing written yet
marking   one file: load, mark, finish        reading   one file: examine, judge
manifest  what a run has done, line by line   ledger    an id's way from pending to marked, crash by crash
local     the engine of one machine           cluster   the same on Ray Data
"""

from wam.jobs.marking import EmbedJob, EmbedResult, SelfCheckError, embed_file
from wam.jobs.reading import Reading, detect_file

__all__ = ["EmbedJob", "EmbedResult", "Reading", "SelfCheckError", "detect_file", "embed_file"]
