"""How sure a number or an answer is: intervals, tests, calibration, prediction sets. It knows no faces."""
