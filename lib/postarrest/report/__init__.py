"""What people read: the pages, the tables and the manuscript's files.

In: executed notebooks, tables, figures and numbers.
Out: self-contained HTML, Word, Excel, and the manifest that verify compares.
"""
