"""What puts load on servers, in this process and in others, and the awards and boards that it takes."""
