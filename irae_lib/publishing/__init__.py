"""Notebook 04: card, leak scan, Hub, merged model and demo page."""
