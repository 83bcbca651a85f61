"""`python -m boldreel.evaluate`: any method's videos, scored without brain data, with a page.

The command ends with a page, so that it lives in the report's room; what it scores with is this room's. No
step imports this file.
"""

from boldreel.report.videos import main
from boldreel.step import run

if __name__ == "__main__":
    run(main)
