"""Jobs on files, in the order in which a run goes through them.

storage   files and URLs                      plan      inputs -> items, nothing written yet
files     one file: load, encode, write       settings  how a run marks, besides the records
marking   one file: mark with a link, check   records   the same with a whole record
reading   one file: examine, judge            outcome   what an engine says of one input
manifest  what a run has done, line by line   book      what that says of each file
ledger    an id's way from pending to marked, crash by crash
local     the engine of one machine           cluster   the same on Ray Data, with pool for Ray itself
"""

from wam.pipeline.mark_link import EmbedResult, SelfCheckError
from wam.pipeline.read import Reading

__all__ = ["EmbedResult", "Reading", "SelfCheckError"]
