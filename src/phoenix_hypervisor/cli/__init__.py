"""The command line: one file for a command, named as the command is.

A module here without a leading underscore (but `main`) is a command: its function of the same
name is registered with its options and its help.
"""
