"""Models as a whole: what every model offers, those there are, their files, and the list of what ships."""
