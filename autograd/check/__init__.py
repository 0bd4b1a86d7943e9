"""Checking gradients: by finite differences (`gradcheck`), and for NaN as they are made (`anomaly`)."""

from .anomalies import anomaly
from .checker import gradcheck
from .report import Mismatch, Report

__all__ = ["Mismatch", "Report", "anomaly", "gradcheck"]
