"""Fast array functions, arrays in and arrays out. They know nothing of Tensors, ops or gradients' graphs."""
