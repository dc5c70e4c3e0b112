"""The browser viewer: callbacks store what is asked, `tick` draws it, in no thread of its own."""
