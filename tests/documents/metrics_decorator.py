@metrics_decorator
def text_generator(self, text: str):
    """
    Args:
        text (str): The input text.

    Returns:
        A list of tokens generated from the input text.
    """
    # language generation implementation goes here
    return tokens

# Instantiate the class and call the decorated function
obj = ClassName()
obj.text_generator("Hello, world!")
