"""The Mainflux APIs: filestore and identity."""
