"""Checking gradients: against measured slopes (`gradcheck`), and for NaN as they are made (`anomaly`)."""

from .anomalies import anomaly
from .causes import CAUSES, Cause
from .checker import gradcheck
from .report import Comparison, OpVerdict, Report
from .sweeps import Sweep

__all__ = ["CAUSES", "Cause", "Comparison", "OpVerdict", "Report", "Sweep", "anomaly", "gradcheck"]
