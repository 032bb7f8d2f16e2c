"""Run a Python module while the servers are up, with their addresses in its environment:

python -m tools.servers [--server minio] [--data FOLDER] [--without-postgres] MODULE [ARGUMENT ...]
"""

from __future__ import annotations

import argparse
import os
import runpy
import sys
from pathlib import Path

from . import S3_SERVERS, ServerError, running


def main() -> int | str | None:
    parser = argparse.ArgumentParser(prog="python -m tools.servers", description=__doc__)
    parser.add_argument("--server", choices=S3_SERVERS, default="seaweedfs", help="the S3 server")
    parser.add_argument("--data", type=Path, help="keep the servers' data in this folder")
    parser.add_argument("--without-postgres", action="store_true", help="start the S3 server alone")
    parser.add_argument("module", help="run as 'python -m' would")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="of that module")
    options = parser.parse_args()
    try:
        postgres = not options.without_postgres
        with running(options.server, postgres=postgres, data=options.data) as addresses:
            os.environ.update(addresses)
            sys.argv = [options.module, *options.arguments]
            runpy.run_module(options.module, run_name="__main__", alter_sys=True)
    except ServerError as error:
        return str(error)
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
