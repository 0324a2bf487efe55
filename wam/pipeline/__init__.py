"""ONE picture in memory: content in, content and a report out; or content in, findings out. No paths, no engine.

loaded            content -> a picture that can be marked        marked            the marked file and its report
mark_link         a registered word into it                      mark_record       a whole record into it, with
marking           several pictures together, either way            ``record_marks`` on pixels
read              content -> every mark with its record          registered_words  the words in use in a registry
frames            animations                                     transplant        is a mark on a picture not its own?
options           how pictures are marked                        contract          the JSON of both, and ``error_line``
given             what a program gives as a picture              key_file          secrets as people keep them
binding           does a mark lie on its own picture, or part?   chance            what people are told of one

Safe for threads; no settings of the process, such as its number of threads, are touched.
"""
