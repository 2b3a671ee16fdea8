"""The page that a training of images leaves: `report.html`, one file without others.

`collect` gathers what it shows, `render` makes the page of it, a pure function of text.
"""
