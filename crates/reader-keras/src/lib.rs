//! Reads trained Keras models (.h5) into the caribou graph
