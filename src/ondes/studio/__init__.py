"""The studio: jobs that outlive the program, in processes of their own, for the page and for the API.

Nothing is imported here: what needs the extra `studio` is imported where it is used.
"""
