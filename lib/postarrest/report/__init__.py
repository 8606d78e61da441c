"""What people read: the pages, the tables and the manuscript's files.

In: executed notebooks, tables, figures and numbers.
Out: self-contained HTML, Word and Excel files, and the manifest that ``make verify`` compares.
"""

from postarrest.report.page import Page
