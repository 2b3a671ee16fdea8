"""Installs `pyramid` (the worker and its commands) and `sensenet` (the model library)."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "pyramid" / "__init__.py").read_text())[1]

setup(
    name="pyramid",
    version=VERSION,
    description="A deepnet training worker, and the library that runs the models it makes",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    python_requires=">=3.11",
    packages=find_packages(include=["pyramid*", "sensenet*"]),
    package_data={"pyramid.settings": ["schema/*.json"], "pyramid": ["py.typed"], "sensenet": ["py.typed"]},
    install_requires=[
        "tensorflow>=2.21,<2.22",
        "numpy>=1.26",
        "pillow>=10.2",
        "scikit-learn>=1.4",
        "jsonschema>=4.20",
        "orjson>=3.9",
        "h5py>=3.10",
        "requests>=2.31",
        "urllib3>=2.2",
        "tqdm>=4.66",
        "scipy>=1.11",
        "threadpoolctl>=3.2",
        "filelock>=3.13",
        "keras>=3.10",
        "typing_extensions>=4.9",
        "polars>=1.20",
        "optuna>=4.0",
        "protobuf>=5.26",
        "pyyaml>=6.0",
    ],
    extras_require={
        "ray": ["ray[client]>=2.30"],
        "test": [
            "hypothesis>=6.100",
            "import-linter>=2.0",
            "mypy>=1.10",
            "pandas>=2.0",
            "psutil>=5.9",
            "pycocotools>=2.0.8",
            "pytest>=8",
            "pytest-timeout>=2.3",
            "pytest-xdist>=3.6",
            "ray[client]>=2.30",
            "ruff>=0.6",
            "types-jsonschema",
            "types-requests",
            "types-tqdm",
        ],
    },
    entry_points={
        "console_scripts": [
            "pyramid = pyramid.worker.__main__:main",
            "pyramid_train = pyramid.commands.train:main",
            "pyramid_generate = pyramid.commands.generate:main",
            "pyramid_evaluate = pyramid.commands.evaluate:main",
            "pyramid_fit = pyramid.commands.fit:main",
            "pyramid_dataset = pyramid.commands.dataset:main",
            "sensenet_predict = sensenet.commands.predict:main",
        ],
    },
)
