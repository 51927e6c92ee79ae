"""Marketing: campaigns on WhatsApp and chat."""
