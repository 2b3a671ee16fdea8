"""The pages `report.html`, each one file without others: of a training of images here, of a search in `tables`.

`collect` gathers what it shows, `render` makes the page of it, a pure function of text.
"""
