"""One axial CT slice in Hounsfield units from DICOM, NIfTI or PNG.

In: the files of one patient, and which slice to take.
Out: a 256 x 256 slice, windowed to gray values; or what is wrong with the file.
"""
