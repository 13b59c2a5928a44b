"""What people look for is found: as a heading or in bold, on the page that answers it."""

import re

import pytest

from docs.reading import pages, stressed

PAGES = pages()
ANSWERED = {
    "hg38": "faq",
    "mm10": "faq",
    "tutorial": "index",
    "notebook": "other-tools",
    "Jupyter": "other-tools",
    "Lightning": "troubleshooting",
    "checkpoint": "troubleshooting",
    "state dict": "troubleshooting",
    "Docker": "install",
    "Singularity": "install",
    "conda": "install",
    "macOS": "install",
    "Windows": "install",
    "FAQ": "faq",
    "troubleshooting": "troubleshooting",
    "out of memory": "troubleshooting",
    "GPU": "install",
    "CUDA": "install",
    "GTF": "faq",
    "gene": "faq",
    "Nextflow": "other-tools",
    "Galaxy": "other-tools",
    "SLURM": "snakemake-slurm",
    "ONNX": "other-tools",
    "Keras": "other-tools",
    "TensorFlow": "other-tools",
    "ChromBPNet": "tutorials/chrombpnet",
    "Enformer": "tutorials/enformer-borzoi",
    "Borzoi": "tutorials/enformer-borzoi",
    "DNABERT": "faq",
    "token": "tutorials/token-model",
    "negative scores": "faq",
    "counts or profile": "faq",
    "saliency": "faq",
    "DeepLIFT": "coming-from",
    "captum": "coming-from",
    "tangermeme": "coming-from",
    "which p": "choosing",
    "reproducible": "reproducibility",
    "BibTeX": "citing",
    "variant effect": "faq",
}
"""The words, and the page that answers each."""


def test_the_words_are_those_that_people_were_asked_for():
    assert len(ANSWERED) == 41


@pytest.mark.parametrize("word", ANSWERED)
def test_a_word_stands_out_on_the_page_that_answers_it(word):
    found = [text for text in stressed(PAGES[ANSWERED[word]]) if re.search(rf"\b{word}", text, re.IGNORECASE)]
    assert found
