"""How certain scores and predictions are: intervals, tests, calibration and prediction sets."""
