"""Products of a catalogue: the class of a product from its title, its description and its picture."""
