"""Scanning many texts: readers, the scan itself, writers. Needs the extra ``hypecheck[scan]``."""
