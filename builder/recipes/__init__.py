"""How a framework gets onto a base that lacks it; recipe.py puts the parts together."""
