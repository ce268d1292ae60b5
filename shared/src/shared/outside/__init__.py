"""What lies outside: exchanges, central banks, and others who are asked over the internet, and how they are asked."""
