"""All that Numba compiles: lanes, elementary functions, random streams, and the walks over a tape."""
