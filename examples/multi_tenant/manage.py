"""The commands of the project, from the repository's folder: python -m examples.multi_tenant.manage"""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "examples.multi_tenant.settings")
    execute_from_command_line(sys.argv)
