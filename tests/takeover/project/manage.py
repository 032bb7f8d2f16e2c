"""A project on django-minio-backend, as its users have it. The test moves a copy, by replacing one word."""

import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
