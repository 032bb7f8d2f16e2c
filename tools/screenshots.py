"""Pictures of the demo, as the README and the site show them, in Chromium.

python3 dev.py run tools.screenshots           # writes docs/images/demo-*.png
python3 dev.py run tools.screenshots FOLDER    # those and further pages, to be looked at
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
DESKTOP, PHONE = {"width": 1200, "height": 760}, {"width": 390, "height": 800}
PICTURES: dict[str, dict[str, Any]] = {
    "demo-light": {"color_scheme": "light", "viewport": DESKTOP},
    "demo-dark": {"color_scheme": "dark", "viewport": DESKTOP},
    "demo-phone": {"color_scheme": "light", "viewport": PHONE, "device_scale_factor": 2},
}

FURTHER = {"landing": "localhost:{port}/", "isolation": "orchard.localhost:{port}/try/harbour"}


def main() -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    folder, further = (Path(sys.argv[1]), FURTHER) if sys.argv[1:] else (IMAGES, {})
    folder.mkdir(exist_ok=True)
    with demo() as port, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, options in PICTURES.items():
            page = browser.new_context(**options).new_page()
            page.goto(f"http://harbour.localhost:{port}/", wait_until="networkidle")
            page.screenshot(path=folder / f"{name}.png")
            for other, address in further.items():
                page.goto(f"http://{address.format(port=port)}", wait_until="networkidle")
                page.screenshot(path=folder / f"{name.replace('demo', other)}.png")
        browser.close()


@contextmanager
def demo() -> Iterator[int]:
    """Run the demo on a free port until the pictures are taken."""
    command = [sys.executable, "dev.py", "demo", "--port", "0"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)  # noqa: S603  our own
    try:
        yield next(int(found[1]) for found in map(_ADDRESS.search, process.stdout or []) if found)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


_ADDRESS = re.compile(r"^  http://localhost:(\d+)/")

if __name__ == "__main__":
    main()
