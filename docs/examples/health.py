"""Another domain than mathematics: advice on health, mined by the same code.

    mathwright corpus docs/examples/health.py --out runs/health \\
        --set 'corpus.web.archives=["crawl/*.warc.gz"]'

The values are those of software.py, and only the seed and the budget differ. docs/quality.md tells what came of
it.
"""

import dataclasses
import runpy
from pathlib import Path

from mathwright.recipe import Recipe

SEED = (
    # public bodies
    "*//www.cdc.gov/*",
    "*//www.niddk.nih.gov/*",
    "*//www.nccih.nih.gov/*",
    "*//www.bhf.org.uk/*",
    # hospitals and schools of medicine
    "*//health.clevelandclinic.org/*",
    "*//www.uclahealth.org/*",
    "*//health.ucdavis.edu/*",
    "*//www.scripps.org/*",
    "*//hsph.harvard.edu/*",
    "*//nutritionsource.hsph.harvard.edu/*",
    # magazines, papers, a forum of patients
    "*//www.healthline.com/*",
    "*//patient.info/*",
    "*//pmc.ncbi.nlm.nih.gov/*",
    "*//www.alsforums.com/*",
)


def recipe() -> Recipe:
    """The software recipe beside this file with another seed and budget."""
    software = runpy.run_path(str(Path(__file__).with_name("software.py")))["recipe"]()
    corpus = dataclasses.replace(software.corpus, seed_urls=SEED, budget_tokens=(100_000, 200_000, 300_000))
    return dataclasses.replace(software, name="health", corpus=corpus)
