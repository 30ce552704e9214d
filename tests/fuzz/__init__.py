"""Suite I: good inputs, damaged a little, by the million; whoever reads them takes or refuses them, and in time."""
