"""What predicts: functions of tables, of images and of boxes, with the batches around them."""
